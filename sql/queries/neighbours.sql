-- name: list_new_files
-- Vector files with images of the lake that have not been compared with the rest of it.
select distinct vector.vector_file
from vector
semi join location
    on location.image_id = vector.image_id
    and location.role = 'lake'
anti join compared_file
    on compared_file.vector_file = vector.vector_file
    and compared_file.encoder_id = vector.encoder_id
where vector.encoder_id = $encoder_id
order by vector.vector_file;

-- name: insert_near_duplicates
-- Pairs of near-duplicates.
insert into near_duplicate
select * from incoming_near_duplicate;

-- name: insert_compared_files
-- The images of these files have been compared.
insert into compared_file
select * from incoming_compared_file;

-- name: list_present_images
-- Images that are in the lake now.
select image_id
from report.images
order by image_id;

-- name: describe_images
-- What people want to see of some images: address, nearness and score.
select
    images.uri,
    wanted.cosine,
    scores.id_score,
    scores.flagged,
    scores.top_id,
    scores.top_negative,
    images.image_id
from incoming_wanted as wanted
join report.images as images on images.image_id = wanted.image_id
left join report.scores as scores on scores.image_id = wanted.image_id
order by wanted.position;

-- name: find_vector
-- The vector of an image of the lake, by its address, by the end of its address, or by its id.
select locations.uri, locations.image_id, vector.vector_file, vector.row_index
from report.locations as locations
join vector on vector.image_id = locations.image_id
where vector.encoder_id = $encoder_id
    and (locations.uri = $address or locations.image_id = $address or ends_with(locations.uri, '/' || $address))
order by locations.uri
limit 1;

-- name: describe_reference
-- The addresses of some reference images.
select min(location.uri) as uri, any_value(wanted.cosine) as cosine, any_value(location.source_label) as source_label
from incoming_wanted as wanted
join location
    on location.image_id = wanted.image_id
    and location.role = 'reference'
group by wanted.position
order by wanted.position;
