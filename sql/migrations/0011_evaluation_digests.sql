-- Evaluations are found again by all that their figures depend on: images of each set, banks, methods, streams, bootstrap.
alter table evaluation add column digest varchar;  -- SHA-256 of that; null in evaluations from before it was written
