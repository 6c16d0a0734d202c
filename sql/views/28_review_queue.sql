-- What to review: groups with flags, the most certain ones and those nearest the cut in turn, and kept groups near the
-- cut. Decided ones are left out; disputed ones come first, and those that somebody was unsure of last.
create or replace view report.review_queue as
with candidates as (
    select
        flag_groups.group_id,
        flag_groups.image_id,
        flag_groups.images,
        flag_groups.flagged,
        flag_groups.mean_log_odds as group_log_odds
    from report.flag_groups as flag_groups
    union all
    select all_groups.group_id, all_groups.image_id, all_groups.images, 0, scores.log_odds
    from report.groups as all_groups
    join report.scores as scores on scores.image_id = all_groups.image_id
    where all_groups.flagged = 0
        and scores.flagged is not null
),

stated as (
    select
        candidates.*,
        reviewed.disputed,
        reviewed.decision,
        candidates.group_log_odds - coalesce(scores.cut, 0) as margin
    from candidates
    join report.scores as scores on scores.image_id = candidates.image_id
    left join report.reviewed_images as reviewed on reviewed.image_id = candidates.image_id
    where reviewed.image_id is null
        or reviewed.disputed
        or reviewed.decision = 'unsure'
),

ranked as (
    select
        *,
        row_number() over (partition by flagged > 0 order by margin, group_id) as certain_rank,
        row_number() over (order by abs(margin), group_id) as doubtful_rank
    from stated
)

select
    row_number() over (
        order by
            coalesce(not ranked.disputed, true),
            coalesce(ranked.decision = 'unsure', false),
            least(case when ranked.flagged > 0 then ranked.certain_rank end, ranked.doubtful_rank),
            ranked.margin,
            ranked.group_id
    ) as position,
    case
        when ranked.disputed then 'disputed'
        when ranked.decision = 'unsure' then 'unsure'
        when ranked.flagged > 0 and ranked.certain_rank < ranked.doubtful_rank then 'certain'
        else 'doubtful'
    end as why,
    ranked.group_id,
    ranked.image_id,
    scores.uri,
    ranked.images,
    ranked.flagged,
    scores.id_score,
    scores.log_odds,
    ranked.margin,
    scores.name,
    scores.name_margin,
    scores.top_id,
    scores.top_negative,
    scores.method_id,
    scores.bank_name,
    scores.bank_version,
    scores.format,
    scores.first_seen
from ranked
join report.scores as scores on scores.image_id = ranked.image_id;
