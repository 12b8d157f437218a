# Reads a message from standard input and prints what Mail::DKIM makes of it; the argument is the port of a name server on this machine.
use strict;
use warnings;
use Net::DNS::Resolver;
use Mail::DKIM::DNS;
use Mail::DKIM::Verifier;
use Mail::DKIM::ARC::Verifier;

my ($port, $what) = @ARGV;
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => ['127.0.0.1'], port => $port, recurse => 1));
my $judge = $what eq 'arc' ? Mail::DKIM::ARC::Verifier->new() : Mail::DKIM::Verifier->new();
binmode STDIN;
local $/;
$judge->PRINT(scalar <STDIN>);
$judge->CLOSE;
if ($what eq 'arc') {
    print $judge->result, "\n";
} else {
    print join(' ', $_->algorithm, $_->domain, $_->result), "\n" for $judge->signatures;
}
