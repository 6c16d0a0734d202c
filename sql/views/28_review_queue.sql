-- What to review: groups with flags, the most certain ones and those nearest the cut in turn, and kept groups near the
-- cut. Decided ones are left out; disputed ones come first, and those that somebody was unsure of last.
create or replace view report.review_queue as
with members as (
    from report.group_members
),

scored as (
    select
        members.group_id,
        members.cosine,
        members.is_representative,
        count(*) over of_group as images,
        count(*) filter (where scores.flagged) over of_group as group_flagged,
        avg(scores.log_odds) filter (where scores.flagged) over of_group as group_log_odds,
        scores.*
    from members
    left join report.scores as scores on scores.image_id = members.image_id
    window of_group as (partition by members.group_id)
),

-- The image to show for a group, as in flag_groups and in groups: of its flagged ones, if there are any, else of all.
shown as (
    select *
    from scored
    where flagged
    qualify main.represents(group_id, image_id, cosine)
    union all
    select * replace (log_odds as group_log_odds)
    from scored
    where group_flagged = 0
        and is_representative
        and flagged is not null
),

stated as (
    select
        shown.*,
        held.disputed,
        held.decision,
        shown.group_log_odds - coalesce(shown.cut, 0) as margin
    from shown
    left join main.held_decisions('members') as held on held.image_id = shown.image_id
    where held.image_id is null
        or held.disputed
        or held.decision = 'unsure'
),

ranked as (
    select
        *,
        row_number() over (partition by group_flagged > 0 order by margin, group_id) as certain_rank,
        row_number() over (order by abs(margin), group_id) as doubtful_rank
    from stated
)

select
    row_number() over (
        order by
            coalesce(not disputed, true),
            coalesce(decision = 'unsure', false),
            least(case when group_flagged > 0 then certain_rank end, doubtful_rank),
            margin,
            group_id
    ) as position,
    case
        when disputed then 'disputed'
        when decision = 'unsure' then 'unsure'
        when group_flagged > 0 and certain_rank < doubtful_rank then 'certain'
        else 'doubtful'
    end as why,
    group_id,
    image_id,
    uri,
    images,
    group_flagged as flagged,
    id_score,
    log_odds,
    margin,
    name,
    name_margin,
    top_id,
    top_negative,
    method_id,
    bank_name,
    bank_version,
    format,
    first_seen
from ranked;
