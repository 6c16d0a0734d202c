-- Every image that ever came into the lake: where and when first, whether it is still there, and the night that judges
-- it, that of the first scan among the locations that are there, or that were the last to go: as report.images has it
-- while it is there.
create or replace macro seen_images() as table
select
    location.image_id,
    min(location.uri) as uri,
    arg_min(location.source_label, location.uri) as source_label,
    arg_min(run.run_id, run.run_number) as first_run_id,
    bool_or(source_object.gone_run_id is null) as present,
    arg_min(
        run.run_id,
        {'last_to_go': -coalesce(gone.run_number, 'infinity'::double), 'first_to_come': run.run_number}
    ) as night_run_id
from main.location
join main.source_object
    on source_object.object_uri = location.object_uri
    and source_object.role = location.role
join main.run on run.run_id = location.run_id
left join main.run as gone on gone.run_id = source_object.gone_run_id
where location.role = 'lake'
    and location.image_id is not null
group by location.image_id;
