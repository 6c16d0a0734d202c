-- name: list_new_files
-- Vector files with images of the lake that have not been compared with the rest of it.
with uncompared as (
    select distinct vector.vector_file
    from vector
    anti join compared_file using (encoder_id, vector_file)
    where vector.encoder_id = $encoder_id
)

select distinct vector.vector_file
from vector
semi join uncompared using (vector_file)
semi join location
    on location.image_id = vector.image_id
    and location.role = 'lake'
where vector.encoder_id = $encoder_id
order by vector.vector_file;

-- name: list_present_images
-- Images that are in the lake now.
select image_id
from report.images
order by image_id;

-- name: describe_images
-- What people want to see of some images: address, nearness and score, as report.scores has it.
with scored as (
    select
        present.image_id,
        present.night_run_id,
        score.* exclude (image_id, run_id),
        selection.policy_id
    from present_images() as present
    semi join incoming_wanted as wanted on wanted.image_id = present.image_id
    join score using (image_id)
    join newest_selection() as selection using (encoder_id, bank_digest, method_id)
)

select
    images.uri,
    wanted.cosine,
    scores.id_score,
    scores.flagged,
    scores.name,
    scores.top_id,
    scores.top_negative,
    images.image_id
from incoming_wanted as wanted
join report.images as images on images.image_id = wanted.image_id
left join labelled('scored') as scores on scores.image_id = wanted.image_id
order by wanted.position;

-- name: find_vector
-- The vector of an image, by its address, by the end of its address, or by its id: of the lake, then of what has gone
-- from it, then of reference and evaluation images.
select
    location.uri,
    location.image_id,
    location.role,
    source_object.gone_run_id is not null as gone,
    vector.vector_file,
    vector.row_index
from location
join source_object
    on source_object.object_uri = location.object_uri
    and source_object.role = location.role
join vector on vector.image_id = location.image_id
where vector.encoder_id = $encoder_id
    and (location.uri = $address or location.image_id = $address or ends_with(location.uri, '/' || $address))
order by location.role <> 'lake', gone, location.role, location.uri
limit 1;

-- name: list_places_of_image
-- Everywhere in the lake where an image lies now.
select uri
from report.locations
where image_id = $image_id
order by uri;

-- name: describe_reference
-- The addresses of some reference images.
select
    min(location.uri) as uri,
    any_value(wanted.cosine) as cosine,
    arg_min(location.source_label, location.uri) as source_label,
    any_value(wanted.image_id) as image_id
from incoming_wanted as wanted
join location
    on location.image_id = wanted.image_id
    and location.role = 'reference'
group by wanted.position
order by wanted.position;

-- name: count_lake_pairs
-- How many of the pairs are of two images that are in the lake now, as report.near_duplicates has them.
with lake as (
    select distinct image_id from present_locations() where role = 'lake'
)

select count(*) as pairs
from incoming_near_duplicate as pair
semi join lake on lake.image_id = pair.image_id
semi join lake as neighbours on neighbours.image_id = pair.neighbour_id;
