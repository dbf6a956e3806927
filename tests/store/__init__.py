"""The store on a real database. What is said here is said of every database that the bridge supports."""
