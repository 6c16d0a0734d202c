-- name: list_finished_shards
-- Row groups that were finished for an encoder and whose data are still in the state that was read then, in any order.
select shard.shard_id
from shard
semi join location
    on location.shard_id = shard.shard_id
    and location.role = shard.role
where shard.encoder_id = $encoder_id and shard.role = $role and shard.kind = 'parquet';

-- name: list_known_images
-- Contents that have a vector of an encoder, as bytes, in any order.
select unhex(image_id) as content
from vector
where encoder_id = $encoder_id;

-- name: count_other_images
-- Images, and those of them that have a vector of an encoder.
select
    (select count(*) from image) as images,
    (select count(*) from vector where encoder_id = $encoder_id) as vectors;

-- name: keep_first_runs
-- Incoming locations; one that already led to the same content keeps the run that saw it first.
select incoming.* replace (coalesce(location.run_id, incoming.run_id) as run_id)
from incoming_location as incoming
left join location
    on location.uri = incoming.uri
    and location.role = incoming.role
    and location.image_id = incoming.image_id
order by incoming.uri;

-- name: delete_replaced_locations
-- Old rows of data that were read again.
delete from location
using incoming_location as incoming
where location.uri = incoming.uri
    and location.role = incoming.role;

-- name: delete_replaced_rejects
-- Old rejects of data that were read again.
delete from reject
using incoming_location as incoming
where reject.uri = incoming.uri
    and reject.role = incoming.role;

-- name: delete_former_rejects
-- What this very shard could not read when it was done before, and what was said of its finished objects as wholes.
delete from reject
using location as former
where reject.uri = former.uri
    and reject.role = $role
    and former.role = $role
    and (former.shard_id = $shard_id or former.uri in (select object_uri from incoming_object));

-- name: delete_former_locations
-- What this very shard found when it was done before, and its finished objects as wholes.
delete from location
where role = $role
    and (shard_id = $shard_id or uri in (select object_uri from incoming_object));

-- name: delete_stale_locations
-- Data of earlier states of objects that are now read to their end.
delete from location
using incoming_object as finished
where location.object_uri = finished.object_uri
    and location.role = finished.role
    and location.object_version <> finished.version;

-- name: delete_stale_rejects
-- Rejects of earlier states of objects that are now read to their end; those of listings are of no state.
delete from reject
using incoming_object as finished
where reject.object_uri = finished.object_uri
    and reject.role = finished.role
    and reject.object_version <> finished.version;

-- name: delete_stale_passed_members
-- What was passed over in objects when they were read before.
delete from passed_member
using incoming_object as finished
where passed_member.object_uri = finished.object_uri
    and passed_member.role = finished.role;

-- name: delete_shard
-- A shard that is done again (an object came back to an earlier state).
delete from shard
where shard_id = $shard_id and encoder_id = $encoder_id and role = $role;

-- name: list_vector_files
-- The vector files of an encoder.
select vector.vector_file, count(*) as vectors
from vector
where vector.encoder_id = $encoder_id
group by vector.vector_file
order by vector.vector_file;

-- name: list_vector_rows
-- What the vector files of an encoder must hold: images, and the first and the last of their ids.
select vector.vector_file, count(*) as vectors, min(vector.image_id) as first_image, max(vector.image_id) as last_image
from vector
where vector.encoder_id = $encoder_id
group by vector.vector_file
order by vector.vector_file;

-- name: list_all_vector_files
-- The vector files of all encoders.
select distinct encoder_id, vector_file
from vector
order by encoder_id, vector_file;

-- name: list_unmeasured_images
-- Images of the lake that were never measured as pictures, in the order in which they are read best.
select images.image_id
from report.images as images
where images.brightness_5 is null
order by images.object_uri, images.byte_offset, images.image_id;

-- name: record_measures
-- Measures of images that have none yet.
update image
set brightness_5 = measured.brightness_5,
    brightness_99 = measured.brightness_99,
    entropy = measured.entropy,
    edge_deviation = measured.edge_deviation,
    level_deviation = measured.level_deviation
from incoming_measured as measured
where measured.image_id = image.image_id
    and image.brightness_5 is null;
