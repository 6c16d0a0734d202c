-- name: count_unnamed
-- Vectors of an encoder and their names of a vocabulary. Where both are as many, none lacks a name.
select
    (select count(*) from vector where encoder_id = $encoder_id) as vectors,
    (select count(*) from image_name where encoder_id = $encoder_id and vocabulary = $vocabulary) as names;

-- name: list_unnamed
-- Vectors of an encoder whose images have no name of a vocabulary, by file and row.
select vector.vector_file, vector.row_index, vector.image_id
from vector
anti join image_name
    on image_name.image_id = vector.image_id
    and image_name.encoder_id = vector.encoder_id
    and image_name.vocabulary = $vocabulary
where vector.encoder_id = $encoder_id
order by vector.vector_file, vector.row_index;

-- name: delete_former_names
-- Names of images that are named anew.
delete from image_name
using incoming_image_name as incoming
where incoming.image_id = image_name.image_id
    and incoming.encoder_id = image_name.encoder_id;

-- name: find_name
-- The nearest word of an image, and its margin.
select name, margin
from image_name
where encoder_id = $encoder_id
    and image_id = $image_id;

-- name: show_name
-- What people read for a name and its margin: one row, in any order.
select
    shown_name($name::varchar, $margin::double) as name,
    $margin::double as name_margin;
