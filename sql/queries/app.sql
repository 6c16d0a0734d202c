-- name: app_images
-- What the app knows of every scored image of the lake, in the order of their ids.
select
    scores.image_id,
    scores.uri,
    scores.object_uri,
    objects.kind,
    scores.member,
    scores.byte_offset,
    scores.byte_size,
    scores.width,
    scores.height,
    scores.id_score,
    scores.log_odds,
    scores.cut,
    coalesce(scores.flagged, false) as flagged,
    scores.name,
    scores.top_id,
    scores.top_negative,
    coalesce(scores.source_label, '') as source_label,
    scores.first_seen,
    scores.first_run_id,
    p_values.p_value,
    coalesce(member.group_id, scores.image_id) as group_id,
    case when reviewed.disputed then 'disputed' else coalesce(reviewed.decision, '') end as decision
from report.scores as scores
left join report.p_values as p_values on p_values.image_id = scores.image_id
left join group_member as member
    on member.image_id = scores.image_id
    and member.encoder_id = (select selection.encoder_id from report.selection as selection)
left join report.reviewed_images as reviewed on reviewed.image_id = scores.image_id
left join source_object as objects
    on objects.object_uri = scores.object_uri
    and objects.role = 'lake'
order by scores.image_id;

-- name: app_queue
-- What to review, in order: the image that is shown for each group.
select queue.image_id
from report.review_queue as queue
order by queue.position;

-- name: app_nights
-- The scans that images of the lake arrived in, the newest first.
select night.night, night.run_id, night.images, night.flagged
from report.night as night
where night.images > 0
order by night.night desc, night.run_id desc;

-- name: app_own_reviews
-- What counts of the reviews of one reviewer, in any order.
select reviews.image_id, reviews.group_id, reviews.decision, reviews.wrong_label, reviews.note
from report.reviews as reviews
where reviews.reviewer = $reviewer;
