"""docstore behind other frameworks' interfaces: Haystack, LangChain, LangGraph and LlamaIndex.

Each module needs its framework, which is an extra of the same name (``llama-index`` for ``llama_index``), and
is imported by itself, as in ``from docstore.integrations.haystack import DocstoreDocumentStore``. Every class
takes a :class:`~docstore.Store` first, or the URL of one, and works through the store's public methods alone.

All of a store's documents are visible to an adapter that lists documents. A view, such as
``store.scoped(owner="agent")``, keeps what one framework writes away from the others.
"""
