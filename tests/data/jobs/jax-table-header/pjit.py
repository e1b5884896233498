import os, sys, socket, threading, subprocess, time

def feature_server(srv):
    keep = []
    while True:
        c, _ = srv.accept()
        keep.append(c)
        c.recv(100)
        c.sendall(b"HDR 4096\n")

def fetch_table(port, step):
    s = socket.create_connection(("127.0.0.1", port))
    s.sendall(b"GET table %d\n" % step)
    need, got = 4096, b""
    hdr = s.recv(9)
    while len(got) < need:
        part = s.recv(need - len(got))
        got += part
    return got

def run(pid, port):
    import jax, jax.numpy as jnp
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize("127.0.0.1:" + sys.argv[3], num_processes=2, process_id=pid)
    from jax.experimental import multihost_utils as mh
    for step in range(100):
        x = jnp.ones((8,)) * (pid + step)
        total = mh.process_allgather(x)
        if step == 5:
            print(f"hung_at {time.time()} rank {pid} is {os.getpid()}\n", end="", flush=True)
            if pid == 0:
                fetch_table(port, step)
    print(total)

if __name__ == "__main__":
    if len(sys.argv) > 2:
        run(int(sys.argv[1]), int(sys.argv[2]))
    else:
        srv = socket.socket(); srv.bind(("127.0.0.1", 0)); srv.listen()
        threading.Thread(target=feature_server, args=(srv,), daemon=True).start()
        kids = [subprocess.Popen([sys.executable, "-u", __file__, str(i), str(srv.getsockname()[1]), sys.argv[1]]) for i in range(2)]
        for k in kids: k.wait()
