-- name: list_tables
-- The tables of the ledger.
select table_name
from duckdb_tables()
where schema_name = 'main' and not internal
order by table_name;

-- name: list_lost_images
-- The images whose vectors lie in files that are lost, in any order.
select distinct vector.image_id
from vector
semi join incoming_lost as lost on lost.vector_file = vector.vector_file
where vector.encoder_id = $encoder_id;

-- name: list_forgotten_objects
-- All objects of all shards of the objects that hold lost images: what has to be read again to make the shards again.
-- Their version is one that none ever had, so that whatever is known of them is of an earlier state. In any order.
with holding as (
    select distinct location.object_uri, location.role
    from location
    semi join incoming_lost_image as lost on lost.image_id = location.image_id
),

touched as (
    select distinct location.shard_id, location.role
    from location
    semi join holding
        on holding.object_uri = location.object_uri
        and holding.role = location.role
)

select distinct location.object_uri, location.role, '' as version
from location
semi join touched
    on touched.shard_id = location.shard_id
    and touched.role = location.role;

-- name: delete_forgotten_shards
-- The shards of forgotten objects are not finished any more.
delete from shard
using (
    select distinct location.shard_id, location.role
    from location
    semi join incoming_object as forgotten
        on forgotten.object_uri = location.object_uri
        and forgotten.role = location.role
) as touched
where touched.shard_id = shard.shard_id
    and touched.role = shard.role;

-- name: delete_lost_vectors
-- Vectors in files that are lost.
delete from vector
using incoming_lost as lost
where lost.vector_file = vector.vector_file
    and vector.encoder_id = $encoder_id;

-- name: delete_lost_comparisons
-- Files that are lost have to be compared with the lake again once they are made again.
delete from compared_file
using incoming_lost as lost
where lost.vector_file = compared_file.vector_file
    and compared_file.encoder_id = $encoder_id;

-- name: delete_lost_near_duplicates
-- Pairs of which one image lost its vector; they are found again.
delete from near_duplicate
where near_duplicate.encoder_id = $encoder_id
    and (
        near_duplicate.image_id in (select lost.image_id from incoming_lost_image as lost)
        or near_duplicate.neighbour_id in (select lost.image_id from incoming_lost_image as lost)
    );

-- name: delete_lost_scores
-- Scores of images that lost their vector; the same content scores the same again.
delete from score
using incoming_lost_image as lost
where lost.image_id = score.image_id
    and score.encoder_id = $encoder_id;

-- name: delete_lost_names
-- Names of images that lost their vector.
delete from image_name
using incoming_lost_image as lost
where lost.image_id = image_name.image_id
    and image_name.encoder_id = $encoder_id;

-- name: delete_images_without_vectors
-- Lost images of which no encoder has a vector.
delete from image
using incoming_lost_image as lost
where lost.image_id = image.image_id
    and image.image_id not in (select vector.image_id from vector);
