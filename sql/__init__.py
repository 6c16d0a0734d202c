"""Migrations, queries, views and checks; read through curator.resources."""
