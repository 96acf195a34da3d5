/** Beyond the guide: the VPC. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { synth, type Synthesized } from '../support/synth.ts';
import { all, type Json, none, one, SERVICES } from '../support/template.ts';
import { everything, existingVpc, frugal, matrix, plain } from '../support/variants.ts';

describe('network', () => {
  const network = (which = plain()) => which.template('network');

  it('two zones, each with a public, a private and an isolated data subnet', () => {
    const subnets = all(network(), 'AWS::EC2::Subnet');
    assert.equal(subnets.length, 6);
    const zones = new Set(subnets.map(({ Properties }) => JSON.stringify(Properties.AvailabilityZone)));
    assert.equal(zones.size, 2);
    assert.ok(subnets.every(({ Properties }) => Properties.MapPublicIpOnLaunch === false));
  });
  it('data subnets have no route out', () => {
    const tables = all(network(), 'AWS::EC2::Route').map(({ Properties }) => JSON.stringify(Properties.RouteTableId));
    assert.ok(!tables.some((table) => table.includes('data')));
  });
  it('zones come from the region, without a lookup', () => {
    const zones = all(network(), 'AWS::EC2::Subnet').map(({ Properties }) =>
      JSON.stringify(Properties.AvailabilityZone),
    );
    assert.ok(zones.every((zone) => zone.includes('Fn::GetAZs')));
    for (const make of Object.values(matrix)) {
      assert.deepEqual(make().assembly.manifest.missing ?? [], []);
    }
  });
  it('a gateway endpoint for S3 in the private subnets', () => {
    const endpoint = one(network(), 'AWS::EC2::VPCEndpoint').Properties;
    assert.equal(endpoint.VpcEndpointType, 'Gateway');
    assert.match(JSON.stringify(endpoint.ServiceName), /\.s3"/);
    assert.ok(endpoint.RouteTableIds.length >= 4);
  });
  it('CDK_VPC_CIDR sets the addresses of the VPC, and its subnets follow', () => {
    const blocks = (which: Synthesized) =>
      all(network(which), 'AWS::EC2::Subnet').map(({ Properties }) => Properties.CidrBlock.split('/')[1]);
    assert.equal(one(network(), 'AWS::EC2::VPC').Properties.CidrBlock, '10.0.0.0/16');
    assert.deepEqual(blocks(plain()).sort(), ['22', '22', '24', '24', '24', '24']);
    assert.equal(one(network(everything()), 'AWS::EC2::VPC').Properties.CidrBlock, '172.20.0.0/18');
    assert.deepEqual(blocks(everything()).sort(), ['24', '24', '26', '26', '26', '26']);
    const small = synth({ CDK_VPC_CIDR: '192.168.16.0/20' });
    assert.deepEqual(blocks(small).sort(), ['26', '26', '28', '28', '28', '28'], 'no smaller than AWS takes');
  });
  it('without NAT there is no gateway and no private subnet, and tasks have addresses of their own', () => {
    none(network(frugal()), 'AWS::EC2::NatGateway');
    assert.equal(all(network(frugal()), 'AWS::EC2::Subnet').length, 4);
    for (const type of SERVICES) {
      const { AssignPublicIp, Subnets } = one(frugal().template(type), 'AWS::ECS::Service').Properties.NetworkConfiguration
        .AwsvpcConfiguration;
      assert.equal(AssignPublicIp, 'ENABLED');
      assert.ok(Subnets.every((subnet: Json) => JSON.stringify(subnet).includes('public')));
    }
  });
  it('without NAT, too, only the load balancer reaches a task, and the database has no route out', () => {
    const ingress = all(frugal().template('compute'), 'AWS::EC2::SecurityGroupIngress').filter(({ Properties }) =>
      JSON.stringify(Properties.GroupId).includes('ApiSecurityGroup'),
    );
    assert.equal(ingress.length, 1);
    assert.match(JSON.stringify(ingress[0]?.Properties.SourceSecurityGroupId), /LoadBalancer/);
    for (const type of SERVICES) {
      const group = all(frugal().template(type), 'AWS::EC2::SecurityGroup').find(({ id }) => /^(Api|Scheduler)/.test(id));
      assert.deepEqual(group?.Properties.SecurityGroupIngress ?? [], []);
    }
    none(frugal().template('scheduled-task'), 'AWS::ElasticLoadBalancingV2::TargetGroup');
    const { SubnetIds } = one(frugal().template('database'), 'AWS::RDS::DBSubnetGroup').Properties;
    assert.ok(SubnetIds.every((subnet: Json) => JSON.stringify(subnet).includes('data')));
  });
  it('without NAT nothing rotates the password', () => {
    none(frugal().template('database'), 'AWS::SecretsManager::RotationSchedule');
    none(frugal().template('database'), 'AWS::Serverless::Application');
  });
  it('CDK_VPC_FLOW_LOGS logs traffic, of a new VPC and of an existing one', () => {
    one(network(everything()), 'AWS::EC2::FlowLog');
    const existing = synth({ ...envOf(existingVpc()), CDK_VPC_FLOW_LOGS: 'true' });
    assert.equal(one(network(existing), 'AWS::EC2::FlowLog').Properties.ResourceId, 'vpc-0123456789abcdef0');
    none(network(), 'AWS::EC2::FlowLog');
  });
});

/** The variables that describe the existing VPC of the matrix. */
function envOf({ config }: Synthesized): Record<string, string> {
  return {
    CDK_VPC_ID: config.vpcId ?? '',
    CDK_VPC_SUBNETS_PUBLIC: config.vpcSubnetsPublic?.join(',') ?? '',
    CDK_VPC_SUBNETS_PRIVATE: config.vpcSubnetsPrivate?.join(',') ?? '',
    CDK_VPC_AZS: config.vpcZones?.join(',') ?? '',
  };
}
