"""An embedded document index: files, their bytes and their metadata, queried alike on every backend."""
