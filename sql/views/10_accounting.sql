-- Every datum of the lake is accounted for: images + duplicates + rejects = data found in the objects listed.
create or replace view report.accounting as
with present as (
    select object_uri, role, data_count
    from main.source_object
    where role = 'lake' and gone_run_id is null
)

select
    (select count(*) from present) as objects,
    (select coalesce(sum(data_count), 0) from present) as data,
    (select count(*) from report.images) as images,
    (select coalesce(sum(copies), 0) from report.images) - (select count(*) from report.images) as duplicates,
    (select count(*) from report.rejects where stage <> 'list') as rejects;
