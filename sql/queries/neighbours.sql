-- name: list_new_files
-- Vector files whose images have not been compared with the rest of the lake.
select distinct vector.vector_file
from vector
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
-- What people want to see of some images: address and score.
select
    wanted.position,
    images.uri,
    images.image_id,
    images.object_uri,
    images.member,
    images.byte_offset,
    images.byte_size,
    scores.id_score,
    scores.flagged,
    scores.top_id,
    scores.top_negative
from incoming_wanted as wanted
join report.images as images on images.image_id = wanted.image_id
left join report.scores as scores on scores.image_id = wanted.image_id
order by wanted.position;

-- name: find_image
-- An image by its address, by a file name at the end of it, or by the beginning of its id.
select image_id, uri, object_uri, member, byte_offset, byte_size
from report.images
where uri = $address or image_id = $address or ends_with(uri, '/' || $address)
order by uri
limit 1;
