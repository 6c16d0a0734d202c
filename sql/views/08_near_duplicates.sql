-- Pairs of lake images that look nearly the same; `exact copies` are not here but in report.locations.
create or replace view report.near_duplicates as
select
    images.uri,
    neighbours.uri as neighbour_uri,
    near_duplicate.cosine,
    near_duplicate.image_id,
    near_duplicate.neighbour_id,
    near_duplicate.run_id
from main.near_duplicate
join main.newest_selection() as selection on selection.encoder_id = near_duplicate.encoder_id
join report.images as images on images.image_id = near_duplicate.image_id
join report.images as neighbours on neighbours.image_id = near_duplicate.neighbour_id;
