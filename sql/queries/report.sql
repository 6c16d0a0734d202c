-- name: flagged
-- Images that do not belong, the least ID first.
select uri, name, name_margin, id_score, top_id, top_negative, copies, first_seen
from report.flagged
order by id_score, uri
limit $limit;

-- name: kept
-- Images that belong, the most doubtful first.
select uri, name, name_margin, id_score, top_id, top_negative, copies, first_seen
from report.kept
order by id_score, uri
limit $limit;

-- name: rejects
-- Data that could not be processed, with the reason.
select uri, stage, reason, detail, scanned_at
from report.rejects
order by stage, reason, uri
limit $limit;

-- name: near_duplicates
-- Pairs of images that look nearly the same, the closest first.
select uri, neighbour_uri, cosine
from report.near_duplicates
order by cosine desc, uri, neighbour_uri
limit $limit;

-- name: quality
-- Images that are bad pictures, the worst first: dark, bright, blurry, of little information, or of an odd aspect or size.
select
    uri,
    list_filter(
        [if(dark, 'dark', null), if(bright, 'bright', null), if(blurry, 'blurry', null),
            if(low_information, 'low information', null), if(odd_aspect, 'odd aspect', null),
            if(odd_size, 'odd size', null)],
        lambda fault: fault is not null
    ) as faults,
    width,
    height,
    dark_score,
    bright_score,
    blur_score,
    information_score,
    near_duplicate
from report.quality
where dark or bright or blurry or low_information or odd_aspect or odd_size
order by len(faults) desc, uri
limit $limit;

-- name: groups
-- Images that look nearly the same, together, the largest groups first.
select uri, name, images, flagged, nights, first_seen, last_seen, group_id
from report.groups
where images > 1
order by images desc, group_id
limit $limit;

-- name: flag_groups
-- Flagged images, one row for all that look nearly the same, the most certain first.
select uri, name, flagged, images, mean_id_score, top_id, top_negative, nights, last_seen, image_id
from report.flag_groups
order by mean_log_odds, group_id
limit $limit;

-- name: duplicates
-- Contents that lie in the lake more than once, with every address.
select images.image_id, images.copies, locations.uri
from report.images as images
join report.locations as locations on locations.image_id = images.image_id
where images.copies > 1
order by images.copies desc, images.image_id, locations.uri
limit $limit;

-- name: night
-- One row for each scan, the newest first.
select night.night, night.run_id, night.status, night.objects_listed, night.objects_new, night.objects_changed,
    night.objects_unchanged, night.objects_gone, night.images, night.duplicates, night.rejects, night.scored,
    night.flagged, night.flag_rate, night.seconds
from report.night as night
join run on run.run_id = night.run_id
order by run.run_number desc
limit $limit;

-- name: accounting
-- Every datum is an image, a duplicate or a reject.
select objects, data, images, duplicates, rejects
from report.accounting
order by data
limit $limit;

-- name: negatives
-- Which negative labels decide the flags, the busiest first.
select top_negative, count(*) as images, min(id_score) as lowest_id_score, arg_min(uri, (id_score, uri)) as example
from report.flagged
group by top_negative
order by images desc, top_negative
limit $limit;

-- name: evaluations
-- Figures of the evaluations, the newest first; 0–1, FPR95 with ID positive and with OOD positive. form: of the images,
-- as_is or same_format.
select evaluated_at, bank_name, bank_version, method_id, form, scope, ood_name, id_images, ood_images,
    auroc, auroc_low, auroc_high, fpr95_id_positive, fpr95_ood_positive, id_label_accuracy
from report.evaluations
order by evaluated_at desc, bank_name, method_id, form, scope <> 'set', ood_name, scope, bank_version, run_id
limit $limit;

-- name: policies
-- The policies, those that decide first: their rules, cuts and references.
select policy_name, rule, level, by_class, own_cuts, reference_images, min_id_score, bank_name, bank_version, method_id,
    rules, selected, policy_id
from report.policies
order by selected desc, rules desc, created_at desc, policy_id
limit $limit;

-- name: p_values
-- Images with the smallest conformal p-values: how few of the reference ID images score as low.
select images.uri, found.p_value, found.reference_images, found.class, found.id_score
from report.p_values as found
join report.images as images on images.image_id = found.image_id
order by found.p_value, found.log_odds, images.uri
limit $limit;

-- name: scorings
-- Banks and methods that images were scored under, with their policies.
select scoring, scored, policy_name, min_id_score, selected, bank_digest
from report.scorings
order by selected desc, scoring
limit $limit;

-- name: flag_changes
-- Images whose flag differs between two scorings of the lake, the largest change of rank first; old, new: parts of their
-- names. Where several have a part, it means the one that rules.
with asked as (
    select 'old' as side, $old::varchar as part
    union all
    select 'new' as side, $new::varchar as part
),

named as (
    select
        asked.side,
        case
            when count(scorings.scoring) = 1 then min(scorings.scoring)
            when bool_or(scorings.scoring = asked.part) then asked.part
            when bool_or(scorings.selected) then min(scorings.scoring) filter (where scorings.selected)
            else error(asked.side || '=' || asked.part || ' is in the names of ' || count(scorings.scoring)
                || ' scorings, not of one, and none of them rules: see `curator query scorings`')
        end as scoring
    from asked
    left join report.scorings as scorings
        on scorings.scored > 0
        and contains(scorings.scoring, asked.part)
    group by asked.side, asked.part
)

select
    after.uri,
    after.name,
    case when after.flagged then 'kept -> flagged' else 'flagged -> kept' end as change,
    before.id_score as old_id_score,
    after.id_score as new_id_score,
    before.rank as old_rank,
    after.rank as new_rank,
    before.top_negative as old_negative,
    after.top_negative as new_negative
from report.compare as before
join report.compare as after on after.image_id = before.image_id
where before.scoring = (select scoring from named where side = 'old')
    and after.scoring = (select scoring from named where side = 'new')
    and before.flagged <> after.flagged
order by abs(after.rank - before.rank) desc, after.uri
limit $limit;

-- name: calls
-- What models were asked, by prompt: how it ended, how often it was sent, how long it took, tokens, the commonest fault.
select
    role,
    model,
    prompt,
    status,
    count(*) as calls,
    sum(attempts) as sent,
    round(sum(seconds), 1) as seconds,
    sum(prompt_tokens)::bigint as prompt_tokens,
    sum(completion_tokens)::bigint as completion_tokens,
    max(finished_at) as newest,
    main.busiest_key(histogram(served_model)) as served_model,
    main.busiest_key(histogram(fault)) as fault
from report.generator_calls
group by role, model, prompt, status
order by newest desc, role, model, prompt, status
limit $limit;

-- name: generated
-- Negatives that systems made, the newest bank version first, with the answer that gave each.
select
    generated.bank,
    generated.version,
    generated.label,
    generated.source,
    generated.concerns,
    generated.nearest_id,
    generated.nearest_id_cosine,
    generated.model,
    generated.output
from report.generated_labels as generated
join bank on bank.bank_digest = generated.bank_digest
order by bank.created_at desc, generated.bank_digest, generated.label_index
limit $limit;

-- name: reviews
-- What reviewers decided, the newest first.
select uri, decision, wrong_label, note, reviewer, reviewed_at, origin, image_id, group_id
from report.reviews
order by reviewed_at desc, review_id
limit $limit;

-- name: review_queue
-- What to review next: the most certain and the most doubtful groups first.
select position, why, uri, name, images, flagged, id_score, top_id, top_negative
from report.review_queue
order by position
limit $limit;

-- name: disputed
-- Images that reviewers do not agree on, and those that the policy judges otherwise than they do.
select uri, name, decision, disputed, flagged, id_score, top_id, top_negative, reviewers, wrong_labels
from report.reviewed_images
where disputed
    or (decision = 'id' and flagged)
    or (decision = 'ood' and not flagged)
order by disputed desc, decision, id_score, uri
limit $limit;
