"""NumPy and its neighbours: compiled code that computes."""

from diagnostics.model import Role
from diagnostics.stacks.symbol import Weight, native

PACKAGES = ("numpy", "scipy", "numexpr", "numba", "llvmlite")
LIBRARIES = (
    r"^(_multiarray_umath|_umath_linalg|_\w*lapack\w*|_fblas|_flapack|mtrand|_generator|interpreter|libnpy\w*|libscipy\w*)"
    r"[\w.-]*\.so[\w.]*$"
)

SYMBOLS = (
    native(r"^(?:array_matmul|PyArray_\w+|ufunc_\w+|DOUBLE_\w+|FLOAT_\w+|cblas_matrixproduct|try_trivial_\w+"
           r"|iterator_loop)", "NumPy", None, Role.OPERATION, weight=Weight.PRIMITIVE),
)  # fmt: skip
