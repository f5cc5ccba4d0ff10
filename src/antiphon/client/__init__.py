"""The asyncio half of the client: carries out what the core asks for. Rules live in `protocol`."""

__all__: list[str] = []
