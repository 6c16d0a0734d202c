-- Each image has a vector of some encoder, and each vector an image.
select coalesce(image.image_id, vector.image_id) as image_id, vector.encoder_id
from image
full join vector on vector.image_id = image.image_id
where image.image_id is null or vector.image_id is null;
