-- Data of the lake that could not be processed, each with its reason.
create or replace view report.rejects as
select
    reject.uri,
    reject.stage,
    reject.reason,
    reject.detail,
    reject.object_uri,
    reject.member,
    reject.image_id,
    reject.run_id,
    run.started_at as scanned_at
from main.reject
left join main.source_object
    on source_object.object_uri = reject.object_uri
    and source_object.role = reject.role
left join main.run on run.run_id = reject.run_id
where reject.role = 'lake'
    and source_object.gone_run_id is null;
