import jax, jax.numpy as jnp


def cell(w, h, x):
    return jnp.tanh(h @ w[0] + x @ w[1]) * jax.nn.sigmoid(h @ w[2])


def loss(w, xs):
    h = jnp.zeros((4, 16))
    for t in range(1500):  # unrolled in time
        h = cell(w, h, xs[t])
    return jnp.sum(h)


step = jax.jit(jax.grad(loss))
w = jnp.ones((3, 16, 16)) * 0.1
print("first step (compiles)", flush=True)
print(step(w, jnp.ones((1500, 4, 16))).sum())
