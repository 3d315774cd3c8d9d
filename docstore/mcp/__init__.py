"""A store as tools for agents, over the Model Context Protocol: what `docstore mcp` runs.

Needs the extra ``mcp``.

Example:
    >>> import docstore.mcp
    >>> server = docstore.mcp.server(docstore.open("memory://"))
    >>> server.name
    'docstore'
"""

try:
    import mcp as _mcp
    import mcp_types as _mcp_types  # mcp 2, the one that this is written for
except ImportError as _error:
    raise ImportError(
        f'docstore.mcp needs {_error.name}: python -m pip install "embedded-docstore[mcp]"', name=_error.name
    ) from _error

from docstore.mcp.protocol import http_app, server

__all__ = ["http_app", "server"]

del _mcp, _mcp_types
