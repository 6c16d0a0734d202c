-- The decision that holds for each image of the lake that a review is about, itself or through its group. Of each
-- reviewer the newest counts; where reviewers disagree the image is disputed and no decision holds. Takes the name of
-- a relation as report.group_members is.
create or replace macro held_decisions(member_relation) as table
with members as (
    from query_table(member_relation)
),

touching as (
    select members.image_id, members.group_id as lake_group_id, members.uri, review.*
    from main.review
    join members on members.image_id = review.image_id
    where review.group_id is null
    union all
    select members.image_id, members.group_id, members.uri, review.*
    from main.review
    join members on members.group_id = review.group_id
),

newest as (
    select *
    from touching
    qualify row_number() over (
        partition by image_id, reviewer
        order by reviewed_at desc, review_number desc
    ) = 1
)

select
    image_id,
    any_value(lake_group_id) as group_id,
    any_value(uri) as uri,
    case when count(distinct decision) = 1 then min(decision) end as decision,
    count(distinct decision) > 1 as disputed,
    count(*) as reviewers,
    max(reviewed_at) as reviewed_at,
    list(distinct wrong_label order by wrong_label) filter (where wrong_label is not null) as wrong_labels
from newest
where decision <> 'withdrawn'
group by image_id;
