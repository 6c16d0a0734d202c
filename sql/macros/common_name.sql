-- What several images are called together, as an aggregate of their names: the one that most have, of those that say
-- something if any does; of several the first in the alphabet.
create or replace macro common_name(of_name) as coalesce(
    main.busiest_key(histogram(of_name) filter (of_name not in ('unclear', 'not named yet'))),
    main.busiest_key(histogram(of_name))
);
