-- name: list_evaluated_data
-- Data of the objects just listed for an evaluation, in a role: content (null where there is no image), label, kind of the object.
select location.uri, image.image_id, location.source_label, source_object.kind
from location
join source_object
    on source_object.object_uri = location.object_uri
    and source_object.role = location.role
semi join incoming_object as listed on listed.object_uri = location.object_uri
left join image on image.image_id = location.image_id
where location.role = $role
    and source_object.gone_run_id is null
order by location.uri;

-- name: list_evaluated_scores
-- Log-odds and nearest ID label of the images asked for, under a bank and method, in the order asked for.
select wanted.position, score.log_odds, score.id_label
from incoming_evaluated as wanted
join score on score.image_id = wanted.image_id
where score.encoder_id = $encoder_id
    and score.bank_digest = $bank_digest
    and score.method_id = $method_id
order by wanted.position;

-- name: insert_evaluation
-- Record an evaluation.
insert into evaluation
select $run_id, $encoder_id, $protocol, $positive, $replicates, $seed;

-- name: insert_evaluation_sets
-- Record the image sets of an evaluation.
insert into evaluation_set
select * from incoming_evaluation_set;

-- name: insert_evaluation_metrics
-- Record the figures of an evaluation.
insert into evaluation_metric
select * from incoming_evaluation_metric;
