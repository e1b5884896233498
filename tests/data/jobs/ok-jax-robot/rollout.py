import os, time
os.environ['JAX_PLATFORMS'] = 'cpu'
import jax, jax.numpy as jnp
import numpy as np


def simulate(a):
    """the robot takes three seconds for a move"""
    time.sleep(3)
    return np.tanh(np.asarray(a)).astype(np.float32)


@jax.jit
def rollout(w, obs):
    def body(carry, _):
        a = carry @ w
        obs = jax.pure_callback(simulate, jax.ShapeDtypeStruct((4,), jnp.float32), a)
        return obs, jnp.sum(obs)
    last, rewards = jax.lax.scan(body, obs, None, length=40)
    return last, rewards


w = jnp.eye(4) * 0.9
obs = jnp.ones(4)
print('READY', os.getpid(), flush=True)
for ep in range(10):
    obs, rew = rollout(w, obs)
    print(ep, float(rew.sum()), flush=True)
