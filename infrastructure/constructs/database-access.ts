/**
 * Lets a service reach the database. Both rules are made in the service's
 * stack, so that the database stack knows none of its users: otherwise each
 * would need the other first.
 */
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';

export const DATABASE_PORT = 5432;

export function allowDatabaseAccess(scope: Construct, service: ec2.SecurityGroup, databaseGroupId: string): void {
  new ec2.CfnSecurityGroupIngress(scope, 'DatabaseIngress', {
    groupId: databaseGroupId,
    sourceSecurityGroupId: service.securityGroupId,
    ipProtocol: 'tcp',
    fromPort: DATABASE_PORT,
    toPort: DATABASE_PORT,
    description: 'PostgreSQL from the service',
  });
  new ec2.CfnSecurityGroupEgress(scope, 'DatabaseEgress', {
    groupId: service.securityGroupId,
    destinationSecurityGroupId: databaseGroupId,
    ipProtocol: 'tcp',
    fromPort: DATABASE_PORT,
    toPort: DATABASE_PORT,
    description: 'PostgreSQL to the database',
  });
}
