-- name: count_unscored
-- Vectors of an encoder and their scores under a bank and method. Where both are as many, none lacks a score: an image
-- has no score without a vector. Columns of one value are counted in no time, and to compare ids takes a while.
select
    (select count(*) from vector where encoder_id = $encoder_id) as vectors,
    (select count(*) from scores_under($encoder_id, $bank_digest, $method_id)) as scores;

-- name: list_unscored
-- Vectors of an encoder that have no score under a bank and method, by file and row.
select vector.vector_file, vector.row_index, vector.image_id
from vector
anti join scores_under($encoder_id, $bank_digest, $method_id) as scored using (image_id)
where vector.encoder_id = $encoder_id
order by vector.vector_file, vector.row_index;

-- name: list_scores_in_sources
-- Log-odds and nearest ID label of the images of a role in the objects just listed, under a bank and method.
select image.image_id, any_value(score.log_odds) as log_odds, any_value(score.id_label) as id_label
from image
join scores_under($encoder_id, $bank_digest, $method_id) as score using (image_id)
join present_locations() as location using (image_id)
semi join incoming_object as listed using (object_uri)
where location.role = $role
group by image.image_id
order by image.image_id;

-- name: list_reference_scores
-- Log-odds and nearest ID label of the reference images that are there now, under a bank and method.
select score.image_id, score.log_odds, score.id_label
from scores_under($encoder_id, $bank_digest, $method_id) as score
where score.image_id in (select image_id from present_locations() where role = 'reference')
order by score.image_id;

-- name: list_calibration_scores
-- The reference images of a calibration, with what they scored.
select image_id, log_odds, id_label
from calibration_score
where calibration_id = $calibration_id
order by image_id;

-- name: count_reference_in_lake
-- The reference images of a calibration, and how many of them are images of the lake at the same time.
select
    count(*) as images,
    count(*) filter (where image_id in (select image_id from present_locations() where role = 'lake')) as in_lake
from calibration_score
where calibration_id = $calibration_id;

-- name: list_policy_classes
-- Classes with a cut of their own under a policy.
select id_label, image_count, min_log_odds
from policy_class
where policy_id = $policy_id
order by id_label;

-- name: find_night_size
-- How many images the middle one of all nights brought that brought any; of those that are still in the lake.
select cast(median(nights.images) as bigint) as images
from (
    select night_run_id, count(*) as images
    from present_images()
    semi join vector using (image_id)
    group by night_run_id
) as nights;

-- name: list_unjudged
-- Images of the lake whose night has no cut yet under a policy. night: the scan that was done with them, which goes on
-- with what interrupted scans before it took in; null for the one that is running. In any order.
with nights as (
    select scan.run_id, min(done.run_number) as night
    from run as scan
    left join run as done
        on done.command = 'scan'
        and done.status = 'done'
        and done.run_number >= scan.run_number
    group by scan.run_id
)

select images.first_run_id as night_run_id, nights.night, score.log_odds, score.id_label
from report.images as images
join scores_under($encoder_id, $bank_digest, $method_id) as score using (image_id)
join nights on nights.run_id = images.first_run_id
anti join policy_night
    on policy_night.policy_id = $policy_id
    and policy_night.night_run_id = images.first_run_id;

-- name: find_named_policy
-- The newest policy of a name, or whose id begins so; those of an encoder, bank and method go first.
select
    policy.policy_id,
    policy.name,
    policy.encoder_id,
    policy.bank_digest,
    policy.method_id,
    policy.min_log_odds,
    policy.min_id_score,
    policy.provenance,
    bank.name as bank_name,
    bank.version as bank_version,
    policy.encoder_id = $encoder_id
        and policy.bank_digest = $bank_digest
        and policy.method_id = $method_id as is_of_scoring
from policy
left join bank on bank.bank_digest = policy.bank_digest
left join run on run.run_id = policy.run_id
where policy.name = $name
    or (length($name) >= 8 and starts_with(policy.policy_id, $name))
order by is_of_scoring desc, run.run_number desc, policy.policy_id
limit 1;

-- name: find_calibrated_method
-- The method, by the beginning of its id, that was calibrated last on a bank; full: on cosines of full precision.
select policy.method_id
from policy
left join run on run.run_id = policy.run_id
where policy.encoder_id = $encoder_id
    and policy.bank_digest = $bank_digest
    and policy.rule <> 'default'
    and starts_with(policy.method_id, $begins)
    and contains(policy.method_id, 'precision=full') = $full
order by run.run_number desc, policy.policy_id
limit 1;

-- name: find_cut
-- The cut that rules for an image under a policy: of its night, of its class, or the policy's own.
with scored as (
    select policy.policy_id, score.id_label, score.log_odds, seen.night_run_id
    from policy
    join score using (encoder_id, bank_digest, method_id)
    left join seen_images() as seen on seen.image_id = score.image_id
    where policy.policy_id = $policy_id
        and score.image_id = $image_id
)

select min_log_odds, min_id_score
from judged('scored');

-- name: list_newest_kept
-- Log-odds of the images that arrived last in the lake and are kept, with the scan; in any order.
select scores.first_run_id, scores.log_odds
from report.scores as scores
where not scores.flagged
    and scores.first_run_id = (
        select arg_max(run.run_id, run.run_number)
        from run
        semi join report.images as images on images.first_run_id = run.run_id
    );

-- name: find_policy
-- The policy that rules for an encoder, bank and method.
select policy_id, name, rule, min_log_odds, min_id_score, provenance, calibration_id
from ruling_policies()
where encoder_id = $encoder_id
    and bank_digest = $bank_digest
    and method_id = $method_id;

-- name: find_policies
-- The policies that rule for an encoder, bank and two methods, in any order.
select method_id, name, min_log_odds, min_id_score, provenance
from ruling_policies()
where encoder_id = $encoder_id
    and bank_digest = $bank_digest
    and method_id in ($method_id, $other_method_id);

-- name: find_ruling_calibration
-- The calibration that an encoder, bank and method are measured against under a policy: of the policy, if it has one.
select
    ruling_calibration(
        $calibration_id::varchar, $encoder_id::varchar, $bank_digest::varchar, $method_id::varchar
    ) as calibration_id;

-- name: find_selection
-- The selection in force.
select encoder_id, bank_digest, method_id, policy_id
from newest_selection();

-- name: find_policy_chosen
-- The policy that was put in force by hand last: by `use`, or by a calibration other than that of a night.
select policy.name, policy.provenance
from selection
inner join policy using (policy_id)
inner join run on selection.run_id = run.run_id
where run.command = 'use'
    and run.arguments ->> 'policy' is not null
    or run.command = 'calibrate'
    and run.arguments ->> 'for_night' is distinct from 'true'
order by selection.selection_number desc
limit 1;

-- name: insert_selection
-- Change what the report views show.
insert into selection
select coalesce(max(selection_number), 0) + 1, $encoder_id, $bank_digest, $method_id, $policy_id, $run_id
from selection;

-- name: count_flags
-- Scored and flagged images of the lake under an encoder, bank, method and policy, and those of them that arrived in a
-- run: of report.scores and report.compare, without the names and labels that nobody counts.
with scored as (
    select present.night_run_id, score.id_label, score.log_odds, $policy_id::varchar as policy_id
    from present_images() as present
    join scores_under($encoder_id, $bank_digest, $method_id) as score using (image_id)
)

select
    count(*) as scored,
    count(*) filter (where flagged) as flagged,
    count(*) filter (where night_run_id = $run_id) as new_scored,
    count(*) filter (where night_run_id = $run_id and flagged) as new_flagged
from judged('scored');

-- name: list_reference_vectors
-- Where the vectors of the reference images that are there now lie, by file and row.
select vector.vector_file, vector.row_index, vector.image_id
from vector
where vector.encoder_id = $encoder_id
    and vector.image_id in (
        select image_id
        from present_locations()
        where role = 'reference'
    )
order by vector.vector_file, vector.row_index;

-- name: find_score
-- The score of an image under a bank and method.
select id_score, log_odds
from scores_under($encoder_id, $bank_digest, $method_id)
where image_id = $image_id;
