"""The routes, a module for each resource. Each has `routes(gateway)`, which `api.create_api` includes."""
