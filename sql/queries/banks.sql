-- name: find_bank_version
-- The version of a bank digest, or the next free one of its name.
select coalesce(
    (select bank.version from bank where bank.bank_digest = $bank_digest),
    (select coalesce(max(bank.version), 0) + 1 from bank where bank.name = $name)
) as version;

-- name: list_banks
-- Bank versions, newest first.
select
    bank.name,
    bank.version,
    bank.bank_digest,
    bank.encoder_id,
    bank.id_count,
    bank.negative_count,
    bank.created_at
from bank
left join run on run.run_id = bank.run_id
order by run.run_number desc, bank.name, bank.version desc;

-- name: find_bank
-- A bank version by name (the newest), by the beginning of its digest, or by its number as v2.
select name, version, bank_digest, encoder_id, id_count, negative_count, created_at, spec, lineage
from bank
where (name = $name or $name is null)
    and (starts_with(bank_digest, $digest_prefix) or 'v' || version = $digest_prefix)
    and (encoder_id = $encoder_id or $encoder_id is null)
order by version desc, created_at desc, bank_digest
limit 1;

-- name: find_bank_guard
-- How a version was judged when it was made, by the last run that did so.
select
    bank_guard.forced,
    bank_guard.image_count,
    bank_guard.flagged_before,
    bank_guard.flagged_now,
    previous.name || ' v' || previous.version as before
from bank_guard
left join bank as previous on previous.bank_digest = bank_guard.previous_digest
left join run on run.run_id = bank_guard.run_id
where bank_guard.bank_digest = $bank_digest
order by run.run_number desc
limit 1;

-- name: show_labels
-- The first labels of each role of a bank version, in order.
select label_index, text, role, source, statistic, nearest_id, nearest_id_cosine
from label
where bank_digest = $bank_digest
    and (role = $role or $role is null)
qualify row_number() over (partition by role order by label_index) <= $limit
order by label_index;

-- name: list_id_names
-- The ID labels of a bank version, in order.
select text
from label
where bank_digest = $bank_digest and role = 'id'
order by label_index;

-- name: list_encoders
-- The encoders that made vectors or banks.
select distinct encoder_id
from encoder
order by encoder_id;

-- name: find_encoder
-- The newest encoder that an address led to.
select encoder.encoder_id, encoder.dimension, encoder.logit_scale, encoder.preprocess
from encoder
join run on run.run_id = encoder.run_id
where encoder.address = $address
order by run.run_number desc, encoder.encoder_id
limit 1;

-- name: find_newest_encoder
-- The address that led to the encoder that came last.
select encoder.address
from encoder
join run on run.run_id = encoder.run_id
order by run.run_number desc
limit 1;

-- name: find_encoder_by_id
-- What is known of an encoder.
select dimension, logit_scale, preprocess
from encoder
where encoder_id = $encoder_id;

-- name: list_scorings_of_bank
-- The methods that images of the lake were scored by under a bank version; what the views show first, then the most used.
select scoring, method_id, scored, policy_name, min_id_score, selected
from report.scorings
where bank_digest = $bank_digest
    and scored > 0
order by selected desc, scored desc, scoring;

-- name: count_flags_by_label
-- How many flagged images of the lake each negative label is the nearest to, under a scoring.
select top_negative, count(*) as flags
from report.compare
where scoring = $scoring
    and flagged
group by top_negative
order by flags desc, top_negative;

-- name: count_flag_changes
-- Images of the lake that two scorings both have, by what each says of them.
select before.flagged as old_flagged, after.flagged as new_flagged, count(*) as images
from report.compare as before
join report.compare as after on after.image_id = before.image_id
where before.scoring = $old_scoring
    and after.scoring = $new_scoring
group by before.flagged, after.flagged
order by old_flagged, new_flagged;
