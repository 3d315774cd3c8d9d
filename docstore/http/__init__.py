"""A FastAPI router over a store, for one's own application; its errors as problem details (RFC 9457).

Needs the extra ``serve``.

Example:
    >>> from fastapi import FastAPI
    >>> from docstore.http import Caller, install_error_handlers, router
    >>> app = FastAPI()
    >>> install_error_handlers(app)
    >>> app.include_router(router(docstore.open("memory://"), caller=lambda: Caller(tenant="acme")))
"""

try:
    import fastapi as _fastapi
    import python_multipart as _python_multipart
except ImportError as _error:
    raise ImportError(
        f'docstore.http needs {_error.name}: python -m pip install "embedded-docstore[serve]"',
        name=_error.name,
    ) from _error

from docstore.http.problems import Problem, install_error_handlers
from docstore.http.requests import Caller
from docstore.http.routes import router

__all__ = ["Caller", "Problem", "install_error_handlers", "router"]

del _fastapi, _python_multipart
