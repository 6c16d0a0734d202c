-- name: app_images
-- What the app knows of every scored image of the lake, in the order of their ids.
with members as (
    from report.group_members
)

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
    members.group_id,
    scores.dark,
    scores.bright,
    scores.blurry,
    scores.low_information,
    scores.odd_aspect,
    case when held.disputed then 'disputed' else coalesce(held.decision, '') end as decision
from report.scores as scores
left join report.p_values as p_values on p_values.image_id = scores.image_id
join members on members.image_id = scores.image_id
left join held_decisions('members') as held on held.image_id = scores.image_id
left join source_object as objects
    on objects.object_uri = scores.object_uri
    and objects.role = 'lake'
order by scores.image_id;

-- name: app_pairs
-- Pairs of images that look nearly the same, in any order.
select pairs.image_id, pairs.neighbour_id
from near_duplicate as pairs
where pairs.encoder_id = (select selection.encoder_id from newest_selection() as selection);

-- name: app_tags
-- The tags of scored images with their images, in the order of both.
select tags.tag, tags.image_id
from report.tags as tags
order by tags.tag, tags.image_id;

-- name: app_queue
-- What to review, in order: the image that is shown for each group.
select queue.image_id
from report.review_queue as queue
order by queue.position;

-- name: app_nights
-- The scans that read something in the lake, the newest first.
select night.night, night.run_id, run.started_at, night.data_read, night.rejects
from report.night as night
join run on run.run_id = night.run_id
where night.data_read > 0
order by run.run_number desc;

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

-- name: app_banks
-- The bank versions, the one that rules first, then the newest: how many images are scored under each, by what, and which
-- policy judges them there.
with scored as (
    select bank_digest, scoring, method_id, scored, policy_name, selected
    from report.scorings
    qualify row_number() over (
        partition by bank_digest
        order by selected desc, scored desc, scoring
    ) = 1
)

select
    bank.name,
    bank.version,
    bank.bank_digest,
    bank.id_count,
    bank.negative_count,
    bank.created_at,
    bank.spec,
    scored.scoring,
    scored.method_id,
    coalesce(scored.scored, 0) as scored,
    scored.policy_name,
    coalesce(scored.selected, false) as rules
from bank
left join scored on scored.bank_digest = bank.bank_digest
left join run on run.run_id = bank.run_id
order by rules desc, run.run_number desc, bank.name, bank.version desc;

-- name: app_bank_labels
-- The labels of a bank version in order, with how many images of the lake each decided under a scoring: of the flagged
-- ones the nearest negative, of those that are kept the nearest ID label. Of equal texts the first decides.
with decided as (
    select
        if(flagged, 'negative', 'id') as role,
        if(flagged, top_negative, top_id) as text,
        count(*) as images
    from report.compare
    where scoring = $scoring
        and flagged is not null
    group by 1, 2
)

select
    label.text,
    label.role,
    label.source,
    if(
        row_number() over (
            partition by label.role, label.text
            order by label.label_index
        ) = 1,
        coalesce(decided.images, 0),
        0
    ) as images
from label
left join decided
    on decided.role = label.role
    and decided.text = label.text
where label.bank_digest = $bank_digest
order by label.label_index;

-- name: app_decided_by
-- The images of the lake that a label decided under a scoring, the least ID first.
select image_id
from report.compare
where scoring = $scoring
    and flagged = ($role = 'negative')
    and if(flagged, top_negative, top_id) = $label
order by log_odds, image_id;

-- name: app_scoring_cut
-- The method of a scoring, and the cut of its policy: null where classes or nights have cuts of their own.
select
    scorings.method_id,
    policy.rule = 'default' as is_default,
    if(policy.by_class or policy.rule = 'fdr', null, policy.min_log_odds) as cut
from report.scorings as scorings
left join policy on policy.policy_id = scorings.policy_id
where scorings.scoring = $scoring;

-- name: app_flag_changes
-- The images of the lake whose flag differs between two scorings, the largest change of rank first, with the labels that
-- flag them. cut: the newer scoring is held to it, null to its own policy.
with judged as (
    select
        after.image_id,
        before.flagged as was_flagged,
        coalesce(after.log_odds < $cut, after.flagged) as flagged,
        before.top_negative as old_negative,
        after.top_negative as new_negative,
        abs(after.rank - before.rank) as moved,
        after.uri
    from report.compare as before
    join report.compare as after on after.image_id = before.image_id
    where before.scoring = $old_scoring
        and after.scoring = $new_scoring
)

select image_id, flagged, if(flagged, new_negative, old_negative) as label
from judged
where flagged <> was_flagged
order by moved desc, uri;
