-- The locations, of any role, whose object is still there, with the kind of the object.
create or replace macro present_locations() as table
select location.*, source_object.kind
from main.location
join main.source_object using (object_uri, role)
where source_object.gone_run_id is null;
