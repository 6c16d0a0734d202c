-- Whether an image represents its group among the rows at hand: the one that leads it or, where that is not among them,
-- the nearest to it.
create or replace macro represents(of_group, of_image, of_cosine) as row_number() over (
    partition by of_group
    order by of_image = of_group desc, of_cosine desc, of_image
) = 1;
