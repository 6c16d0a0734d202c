-- name: list_unscored
-- Vectors of an encoder that have no score under a bank and method, by file and row.
select vector.vector_file, vector.row_index, vector.image_id
from vector
anti join (
    select image_id
    from score
    where encoder_id = $encoder_id
        and bank_digest = $bank_digest
        and method_id = $method_id
) as scored on scored.image_id = vector.image_id
where vector.encoder_id = $encoder_id
order by vector.vector_file, vector.row_index;

-- name: list_reference_scores
-- Log-odds of the reference images in the objects just listed, under a bank and method.
select image.image_id, any_value(score.log_odds) as log_odds
from image
join score on score.image_id = image.image_id
join location on location.image_id = image.image_id
join source_object
    on source_object.object_uri = location.object_uri
    and source_object.role = location.role
semi join incoming_object as listed on listed.object_uri = location.object_uri
where location.role = 'reference'
    and source_object.gone_run_id is null
    and score.encoder_id = $encoder_id
    and score.bank_digest = $bank_digest
    and score.method_id = $method_id
group by image.image_id
order by image.image_id;

-- name: insert_policy
-- Record a policy once.
insert into policy
select
    $policy_id,
    $name,
    $encoder_id,
    $bank_digest,
    $method_id,
    $min_log_odds::double,
    1 / (1 + exp(-$min_log_odds::double)),
    $provenance,
    $created_at,
    $run_id
where not exists (select 1 from policy where policy.policy_id = $policy_id);

-- name: find_policy
-- The newest policy made for an encoder, bank and method; calibrated ones go before defaults.
select policy_id, name, min_log_odds, min_id_score, provenance, created_at
from policy
where encoder_id = $encoder_id
    and bank_digest = $bank_digest
    and method_id = $method_id
order by name = 'default', created_at desc
limit 1;

-- name: find_selection
-- The selection in force.
select encoder_id, bank_digest, method_id, policy_id
from selection
where selection_number = (select max(newest.selection_number) from selection as newest);

-- name: insert_selection
-- Change what the report views show.
insert into selection
select coalesce(max(selection_number), 0) + 1, $encoder_id, $bank_digest, $method_id, $policy_id, $run_id
from selection;

-- name: count_flags
-- Scored and flagged images of the lake under the selection.
select count(*) as scored, count(*) filter (where flagged) as flagged
from report.scores;
