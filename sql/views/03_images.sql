-- Every image that is in the lake now, once, at the first of its locations (in the order of their addresses), with the
-- first label that any of them gives it.
create or replace view report.images as
select
    image.image_id,
    first_location.uri,
    first_location.copies,
    first_location.object_uri,
    first_location.member,
    first_location.byte_offset,
    image.byte_size,
    image.width,
    image.height,
    image.format,
    image.mode,
    image.animated,
    image.remark,
    image.brightness_5,
    image.brightness_99,
    image.entropy,
    image.edge_deviation,
    image.level_deviation,
    first_location.source_label,
    run.started_at as first_seen,
    run.run_id as first_run_id
from main.image
join (
    select
        image_id,
        min(uri) as uri,
        count(*) as copies,
        arg_min(object_uri, uri) as object_uri,
        arg_min_null(member, uri) as member,
        arg_min_null(byte_offset, uri) as byte_offset,
        arg_min(source_label, uri) as source_label,
        min(run_number) as run_number
    from report.locations
    where image_id is not null
    group by image_id
) as first_location on first_location.image_id = image.image_id
left join main.run on run.run_number = first_location.run_number;
