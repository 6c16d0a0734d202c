-- name: flagged
-- Images that do not belong, the least ID first.
select uri, id_score, top_id, top_id_cosine, top_negative, top_negative_cosine, copies, first_seen
from report.flagged
order by id_score, uri
limit $limit;

-- name: kept
-- Images that belong, the most doubtful first.
select uri, id_score, top_id, top_id_cosine, top_negative, top_negative_cosine, copies, first_seen
from report.kept
order by id_score, uri
limit $limit;

-- name: rejects
-- Data that could not be processed, with the reason.
select uri, stage, reason, detail, scanned_at
from report.rejects
order by stage, reason, uri
limit $limit;

-- name: near_duplicates
-- Pairs of images that look nearly the same, the closest first.
select uri, neighbour_uri, cosine
from report.near_duplicates
order by cosine desc, uri, neighbour_uri
limit $limit;

-- name: duplicates
-- Contents that lie in the lake more than once, with every address.
select images.image_id, images.copies, locations.uri
from report.images as images
join report.locations as locations on locations.image_id = images.image_id
where images.copies > 1
order by images.copies desc, images.image_id, locations.uri
limit $limit;

-- name: night
-- One row for each scan, the newest first.
select night, run_id, status, objects_listed, objects_new, objects_changed, objects_unchanged, objects_gone,
    images, duplicates, rejects, flagged, flag_rate, seconds
from report.night
order by night desc, run_id desc
limit $limit;

-- name: accounting
-- Every datum is an image, a duplicate or a reject.
select objects, data, images, duplicates, rejects
from report.accounting
limit $limit;

-- name: negatives
-- Which negative labels decide the flags, the busiest first.
select top_negative, count(*) as images, min(id_score) as lowest_id_score, arg_min(uri, id_score) as example
from report.flagged
group by top_negative
order by images desc, top_negative
limit $limit;
