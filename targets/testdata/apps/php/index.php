<?php
// A PHP page whose cost is set by the query, or else by the environment: cpu_ms and wait_ms, CPU_MS
// and WAIT_MS, as of ../flask. Apache and php-fpm keep the environment from their pages.

$cpu = (float) ($_GET['cpu_ms'] ?? getenv('CPU_MS') ?: 0) / 1000;
$wait = (float) ($_GET['wait_ms'] ?? getenv('WAIT_MS') ?: 0) / 1000;

function cpu_time(): float
{
    $u = getrusage();
    return $u['ru_utime.tv_sec'] + $u['ru_stime.tv_sec'] + ($u['ru_utime.tv_usec'] + $u['ru_stime.tv_usec']) / 1e6;
}

$until = cpu_time() + $cpu;
$x = 1;
while (cpu_time() < $until) {
    for ($i = 0; $i < 50; $i++) {
        $x = ($x * 1103515245 + 12345) & 0x7FFFFFFF;
    }
}
if ($wait > 0) {
    usleep((int) round(-log(1 - mt_rand() / (mt_getrandmax() + 1)) * $wait * 1e6));
}
header('Content-Type: text/plain');
echo "ok\n";
