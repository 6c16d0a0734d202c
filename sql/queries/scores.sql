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
    $min_id_score::double,
    $provenance,
    $created_at,
    $run_id
where not exists (select 1 from policy where policy.policy_id = $policy_id);

-- name: find_policy
-- The newest policy made for an encoder, bank and method; calibrated ones go before defaults.
select policy.policy_id, policy.name, policy.min_log_odds, policy.min_id_score, policy.provenance, policy.created_at
from policy
left join run on run.run_id = policy.run_id
where policy.encoder_id = $encoder_id
    and policy.bank_digest = $bank_digest
    and policy.method_id = $method_id
order by policy.name = 'default', run.run_number desc, policy.policy_id
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
-- Scored and flagged images of the lake under the selection, and those of them that arrived in a run.
select
    count(*) as scored,
    count(*) filter (where flagged) as flagged,
    count(*) filter (where first_run_id = $run_id) as new_scored,
    count(*) filter (where first_run_id = $run_id and flagged) as new_flagged
from report.scores;

-- name: list_reference_vectors
-- Where the vectors of the reference images that are there now lie, by file and row.
select vector.vector_file, vector.row_index, vector.image_id
from vector
where vector.encoder_id = $encoder_id
    and vector.image_id in (
        select location.image_id
        from location
        join source_object
            on source_object.object_uri = location.object_uri
            and source_object.role = location.role
        where location.role = 'reference'
            and source_object.gone_run_id is null
    )
order by vector.vector_file, vector.row_index;

-- name: count_flags_of
-- Scored and flagged images of the lake under a bank and method, by the policy that would rule.
select count(*) as scored, count(*) filter (where score.log_odds < scorings.min_log_odds) as flagged
from report.images as images
join score on score.image_id = images.image_id
join report.scorings as scorings
    on scorings.encoder_id = score.encoder_id
    and scorings.bank_digest = score.bank_digest
    and scorings.method_id = score.method_id
where score.encoder_id = $encoder_id
    and score.bank_digest = $bank_digest
    and score.method_id = $method_id;

-- name: find_score
-- The score of an image under a bank and method.
select id_score, log_odds
from score
where image_id = $image_id
    and encoder_id = $encoder_id
    and bank_digest = $bank_digest
    and method_id = $method_id;
