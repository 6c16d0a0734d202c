-- Every image that is in the lake now, with the scan that saw the first of its locations that are there: the night that
-- judges it, as report.images has it.
create or replace macro present_images() as table
select location.image_id, arg_min(run.run_id, run.run_number) as night_run_id
from main.location
join main.source_object using (object_uri, role)
left join main.run on run.run_id = location.run_id
where source_object.gone_run_id is null
    and location.role = 'lake'
    and location.image_id is not null
group by location.image_id;
