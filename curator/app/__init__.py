"""The app for people who look: its web server, for who has its address only, and its front end as package data."""
