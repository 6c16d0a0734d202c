-- Each image of the lake that has a vector of the selected encoder has a score under the selection.
select vector.image_id
from vector
join newest_selection() as selection on selection.encoder_id = vector.encoder_id
semi join present_images() as images on images.image_id = vector.image_id
anti join (
    select score.image_id
    from score
    join newest_selection() using (encoder_id, bank_digest, method_id)
) as scored on scored.image_id = vector.image_id;
