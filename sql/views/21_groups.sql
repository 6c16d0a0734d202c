-- Groups of images that look nearly the same, the images alone included, each with the image that represents it and the name of
-- most of them.
create or replace view report.groups as
select
    members.group_id,
    max(members.image_id) filter (where members.is_representative) as image_id,
    max(members.uri) filter (where members.is_representative) as uri,
    main.common_name(coalesce(scores.name, 'not named yet')) as name,
    count(*) as images,
    count(*) filter (where scores.flagged) as flagged,
    min(scores.id_score) as min_id_score,
    avg(scores.id_score) as mean_id_score,
    min(images.first_seen) as first_seen,
    max(images.first_seen) as last_seen,
    count(distinct cast(images.first_seen as date)) as nights,
    arg_min(images.first_run_id, images.first_seen) as first_run_id
from report.group_members as members
join report.images as images on images.image_id = members.image_id
left join report.scores as scores on scores.image_id = members.image_id
group by members.group_id;
