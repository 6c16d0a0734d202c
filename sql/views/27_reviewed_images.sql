-- Every image of the lake that a review is about, itself or through its group, with the decision that holds for it.
-- Of each reviewer the newest counts; where reviewers disagree the image is disputed and no decision holds.
create or replace view report.reviewed_images as
with members as (
    from report.group_members
)

select
    held.image_id,
    held.group_id,
    held.uri,
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
from main.held_decisions('members') as held
left join report.scores as scores on scores.image_id = held.image_id;
