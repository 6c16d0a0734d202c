-- Every image of the lake that a review is about, itself or through its group, with the decision that holds for it.
-- Of each reviewer the newest counts; where reviewers disagree the image is disputed and no decision holds.
create or replace view report.reviewed_images as
with touching as (
    select members.image_id, members.group_id as lake_group_id, review.*
    from main.review
    join report.group_members as members on members.image_id = review.image_id
    where review.group_id is null
    union all
    select members.image_id, members.group_id, review.*
    from main.review
    join report.group_members as members on members.group_id = review.group_id
),

newest as (
    select *
    from touching
    qualify row_number() over (
        partition by image_id, reviewer
        order by reviewed_at desc, review_number desc
    ) = 1
),

held as (
    select
        image_id,
        any_value(lake_group_id) as group_id,
        case when count(distinct decision) = 1 then min(decision) end as decision,
        count(distinct decision) > 1 as disputed,
        count(*) as reviewers,
        max(reviewed_at) as reviewed_at,
        list(distinct wrong_label order by wrong_label) filter (where wrong_label is not null) as wrong_labels
    from newest
    where decision <> 'withdrawn'
    group by image_id
)

select
    held.image_id,
    held.group_id,
    images.uri,
    held.decision,
    held.disputed,
    held.reviewers,
    held.reviewed_at,
    held.wrong_labels,
    scores.id_score,
    scores.log_odds,
    scores.flagged,
    scores.name,
    scores.name_margin,
    scores.top_id,
    scores.top_negative
from held
join report.images as images on images.image_id = held.image_id
left join report.scores as scores on scores.image_id = held.image_id;
