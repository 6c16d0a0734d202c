-- The flagged images, one row for all that look nearly the same: one thing to review, with a flagged image to show for it.
-- Order by mean_log_odds: the most certain first.
create or replace view report.flag_groups as
with member as (
    select image_id, group_id, cosine
    from main.group_member
    where encoder_id = (select selection.encoder_id from main.newest_selection() as selection)
),

placed as (
    select
        coalesce(member.group_id, flagged.image_id) as group_id,
        flagged.image_id,
        flagged.uri,
        flagged.id_score,
        flagged.log_odds,
        flagged.name,
        flagged.top_id,
        flagged.top_negative,
        flagged.first_seen,
        flagged.first_run_id,
        main.represents(coalesce(member.group_id, flagged.image_id), flagged.image_id, member.cosine) as is_representative
    from report.flagged as flagged
    left join member on member.image_id = flagged.image_id
),

sizes as (
    select member.group_id, count(*) as images
    from member
    semi join report.images as images on images.image_id = member.image_id
    group by member.group_id
)

select
    placed.group_id,
    max(placed.image_id) filter (where placed.is_representative) as image_id,
    max(placed.uri) filter (where placed.is_representative) as uri,
    count(*) as flagged,
    coalesce(any_value(sizes.images), 1) as images,
    min(placed.id_score) as min_id_score,
    avg(placed.id_score) as mean_id_score,
    avg(placed.log_odds) as mean_log_odds,
    main.common_name(placed.name) as name,
    max(placed.top_id) filter (where placed.is_representative) as top_id,
    max(placed.top_negative) filter (where placed.is_representative) as top_negative,
    min(placed.first_seen) as first_seen,
    max(placed.first_seen) as last_seen,
    count(distinct cast(placed.first_seen as date)) as nights,
    arg_min(placed.first_run_id, placed.first_seen) as first_run_id
from placed
left join sizes on sizes.group_id = placed.group_id
group by placed.group_id;
