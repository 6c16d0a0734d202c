-- Every location of a lake object that is still there, with the time it was read.
create or replace view report.locations as
select
    location.uri,
    location.image_id,
    location.object_uri,
    location.member,
    location.byte_offset,
    location.byte_size,
    location.source_label,
    location.role,
    location.run_id,
    run.started_at as scanned_at,
    run.run_number
from main.present_locations() as location
left join main.run on run.run_id = location.run_id
where location.role = 'lake';
