-- name: list_evaluated_data
-- Data of the objects just listed for an evaluation, in a role: content (null where there is no image), label, kind of the object.
select location.uri, image.image_id, location.source_label, location.kind
from present_locations() as location
semi join incoming_object as listed using (object_uri)
left join image using (image_id)
where location.role = $role
order by location.uri;

-- name: list_evaluated_scores
-- Log-odds and nearest ID label of the images asked for, under a bank and method, in the order asked for.
select wanted.position, score.log_odds, score.id_label
from incoming_evaluated as wanted
join scores_under($encoder_id, $bank_digest, $method_id) as score using (image_id)
order by wanted.position;

-- name: list_shortest_sides
-- The shortest side of the images asked for, in pixels.
select image.image_id, least(image.width, image.height) as side
from image
semi join incoming_wanted as wanted on wanted.image_id = image.image_id
order by image.image_id;

-- name: find_evaluation
-- The last evaluation that measured just this, with what it was asked and how.
select run_id
from evaluation
where digest = $digest
order by run_id desc
limit 1;

-- name: list_evaluation_metrics
-- The figures of one evaluation.
select bank_digest, method_id, form, scope, ood_name, metric, value, low, high, id_count, ood_count
from evaluation_metric
where run_id = $run_id
order by bank_digest, method_id, form, scope, ood_name, metric;
