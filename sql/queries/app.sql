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

-- name: app_history
-- What an image scored under each bank and method, and what their policies make of it, in the order of the scores.
select
    bank.name || '@v' || bank.version as bank,
    score.method_id,
    score.id_score,
    score.log_odds,
    policy.name as policy,
    policy.min_log_odds as cut,
    score.log_odds < policy.min_log_odds as flagged,
    run.started_at as scored_at
from score
join bank on bank.bank_digest = score.bank_digest
left join run on run.run_id = score.run_id
left join policy
    on policy.encoder_id = score.encoder_id
    and policy.bank_digest = score.bank_digest
    and policy.method_id = score.method_id
    and not policy.by_class
    and policy.rule <> 'fdr'
where score.image_id = $image_id
order by run.run_number, bank.name, bank.version, score.method_id, policy.created_at, policy.policy_id;

-- name: app_sightings
-- Where and when an image was seen in the lake, the first first; gone: it is not there any more.
select location.uri, run.started_at as seen_at, source_object.gone_run_id is not null as gone
from location
join source_object
    on source_object.object_uri = location.object_uri
    and source_object.role = location.role
left join run on run.run_id = location.run_id
where location.image_id = $image_id
    and location.role = 'lake'
order by run.run_number, location.uri;

-- name: app_reviews_of
-- What people decided about an image or its group, the newest first.
select reviews.decision, reviews.wrong_label, reviews.note, reviews.reviewer, reviews.reviewed_at
from report.reviews as reviews
where reviews.image_id = $image_id
    or reviews.group_id = $group_id
order by reviews.reviewed_at desc, reviews.review_id;
