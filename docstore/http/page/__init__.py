"""The page of ``docstore serve``: HTML made on the server, beside the router's JSON at the same addresses."""
